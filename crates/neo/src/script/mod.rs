//! Scripts of the virtual machine: built, taken apart, read by people.
