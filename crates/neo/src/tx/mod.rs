//! Transactions: what is signed, by whom, and how far each signature reaches.
