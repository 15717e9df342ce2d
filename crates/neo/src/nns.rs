//! Names of the Neo Name Service.
