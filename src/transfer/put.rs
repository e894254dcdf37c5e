//! Sends one finished pack by its signed URL.
