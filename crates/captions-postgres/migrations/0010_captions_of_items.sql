-- For erasing one caption.
CREATE INDEX batch_items_of_caption ON batch_items (caption);
