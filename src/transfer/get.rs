//! Reads ranges of a pack by its signed URL.
