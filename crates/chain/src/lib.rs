//! One small set of traits over Neo N3 and Neo X: read, simulate, send, watch.
