//! Real nodes: started, funded, ended, found again.

mod devnet;
mod nodes;
