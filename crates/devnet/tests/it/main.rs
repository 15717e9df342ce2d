//! Real nodes: started, funded, ended, found again.

mod nodes;
