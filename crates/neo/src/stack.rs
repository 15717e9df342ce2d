//! What the virtual machine takes and gives: stack items and contract parameters.
