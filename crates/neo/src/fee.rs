//! The network fee, computed offline exactly as the node does.
