//! The client of a Neo N3 node: every call, and subscriptions that resume without a gap.
