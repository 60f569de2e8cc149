-- For letting go of usage that is older than it is kept.
CREATE INDEX usage_sums_in_order ON usage_sums (hour);
