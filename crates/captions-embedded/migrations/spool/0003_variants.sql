-- The variants that come while a caption waits take room too.
DROP TRIGGER waiting_changes;

CREATE TRIGGER waiting_changes AFTER UPDATE OF feedback, record ON waiting BEGIN
    UPDATE filled SET bytes = bytes + octet_length(NEW.record) - octet_length(OLD.record)
        + coalesce(octet_length(NEW.feedback), 0) - coalesce(octet_length(OLD.feedback), 0);
END;
