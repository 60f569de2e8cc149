-- The variant that was picked while the caption waited.
ALTER TABLE waiting ADD COLUMN selected INTEGER;
