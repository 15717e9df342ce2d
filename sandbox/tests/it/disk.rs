use std::{fs, io::ErrorKind};

use nsl_sandbox::SmallDisk;

#[test]
fn a_small_disk_fills_up_and_is_freed() {
    let disk = SmallDisk::mount(1 << 20).unwrap();
    let file = disk.path().join("f");
    fs::write(&file, "before").unwrap();
    disk.fill().unwrap();
    let full = fs::write(disk.path().join("g"), [1; 8192]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    disk.free().unwrap();
    fs::write(disk.path().join("g"), [1; 8192]).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "before");
    let at = disk.path().to_owned();
    drop(disk);
    assert!(!at.exists());
}
