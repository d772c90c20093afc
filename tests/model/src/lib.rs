//! The model check of the stop protocol: the shipped source under loom.
