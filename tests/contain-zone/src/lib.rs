//! Checks on the linked image that the contain zone does only what it may.
