use std::process::Stdio;

use nsl_sandbox::nsl_command;

use crate::ground::both;

#[test]
fn processes_that_migrate_at_once_take_each_step_once() {
    for database in both() {
        let home = tempfile::tempdir().unwrap();
        let command = || {
            let mut command = nsl_command(["migrate"]).unwrap();
            command.env("NSL_PROFILE", "development").env("NSL_DATA_DIR", home.path());
            if let Some(database) = &database {
                command.env("DATABASE_URL", database.url());
            }
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let running: Vec<_> = (0..4).map(|_| command().spawn().unwrap()).collect();
        let mut applied = Vec::new();
        for process in running {
            let output = process.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
            applied.extend(said.lines().filter_map(|line| line.strip_prefix("applied ")).map(str::to_owned));
        }
        let all = applied.len();
        applied.sort();
        applied.dedup();
        assert_eq!(all, applied.len(), "a step was taken twice: {applied:?}");
        assert!(applied.iter().any(|step| step.starts_with("storage 1")), "{applied:?}");
        let again = command().output().unwrap();
        assert!(String::from_utf8_lossy(&again.stdout).contains("up to date"));
    }
}
