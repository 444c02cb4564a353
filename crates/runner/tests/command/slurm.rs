//! `fewstep slurm`: the texts of its scripts, what they do when a shard ends in one way or another, and what is refused. `sbatch` and
//! what a script runs are programs of the test's own here; `tests/slurm/run.sh` runs the scripts under Slurm itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::common::{Case, GAUSSIAN, expect_refusals, fewstep, repository, succeed};

/// A folder with an experiment, and the same without links in its path.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    fs::write(path.join("gaussian.toml"), GAUSSIAN).unwrap();
    (folder, path)
}

/// A script of `out/gaussian/slurm` with the test's own paths called by names.
fn script(path: &Path, folder: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.replace(env!("CARGO_BIN_EXE_fewstep"), "/PROGRAM").replace(folder.to_str().unwrap(), "/FOLDER")
}

fn golden(name: &str) -> String {
    fs::read_to_string(repository().join("crates/runner/tests/golden/slurm").join(name)).unwrap()
}

/// An executable file `name` in `folder` that is this shell script.
fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn scripts_have_every_argument_and_every_path_quoted() {
    let (_kept, outer) = folder();
    let cwd = outer.join("$(touch x) `id`");
    fs::create_dir(&cwd).unwrap();
    fs::write(cwd.join("it's an \"experiment\".toml"), GAUSSIAN).unwrap();
    let arguments =
        "--shards 12 --partition gpu,gpu-long --account lab_1 --cpus 8 --memory 16G --time 1-02:00 --max-running 4";
    let mut all = vec!["slurm", "it's an \"experiment\".toml", "--out=-o; rm -rf & #", "--device", "cpu-plain"];
    all.extend(arguments.split(' '));
    assert_eq!(succeed(&cwd, &all), "-o; rm -rf & #/slurm/submit.sh\n");
    let scripts = cwd.join("-o; rm -rf & #/slurm");
    assert_eq!(script(&scripts.join("shards.sbatch"), &outer), golden("all-shards.sbatch"));
    assert_eq!(script(&scripts.join("merge.sbatch"), &outer), golden("all-merge.sbatch"));
}

#[test]
fn what_is_not_asked_for_is_left_to_the_cluster() {
    let (_kept, cwd) = folder();
    let least = || {
        let mut command = fewstep(&cwd, &["slurm", "gaussian.toml", "--shards", "40"]);
        command.env_remove("FEWSTEP_CACHE");
        command
    };
    assert!(least().status().unwrap().success());
    assert_eq!(script(&cwd.join("out/gaussian/slurm/merge.sbatch"), &cwd), golden("least-merge.sbatch"));
    let shards = script(&cwd.join("out/gaussian/slurm/shards.sbatch"), &cwd);
    let options: Vec<&str> = shards.lines().filter_map(|line| line.strip_prefix("#SBATCH --")).collect();
    let expected = [
        "job-name=fewstep-gaussian-shards",
        "output=shard-%a.log",
        "open-mode=append",
        "requeue",
        "ntasks=1",
        "array=1-40",
        "signal=B:TERM@120",
    ];
    assert_eq!(options, expected);
    assert!(
        shards.contains("/PROGRAM \\\n    sweep gaussian.toml --out out/gaussian --device cpu --shard"),
        "{shards}"
    );
}

#[test]
fn a_container_gets_the_folders_that_it_needs() {
    let (_kept, cwd) = folder();
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("it's");
    let out = out.to_str().unwrap();
    let arguments =
        ["--shards=2", "--container=docker://registry/fewstep:1", "--gpus=a100:1", "--device=cuda", "--out", out];
    succeed(&cwd, &[&["slurm", "gaussian.toml"], &arguments[..]].concat());
    let shards = script(&outside.path().join("it's/slurm/shards.sbatch"), &cwd);
    let shards = shards.replace(outside.path().to_str().unwrap(), "/OUTSIDE");
    let (head, _) = shards.split_once("shard=$!").unwrap();
    assert_eq!(head, golden("container-head.sbatch"));
    // What has been sampled on a device is merged on such a one.
    let merge = read(&outside.path().join("it's/slurm/merge.sbatch"));
    assert!(
        merge.contains("\n#SBATCH --gres=gpu:a100:1\n") && merge.contains("\nexec apptainer exec --nv "),
        "{merge}"
    );
}

#[test]
fn the_words_of_a_script_arrive_as_they_were_given() {
    let (_kept, outer) = folder();
    let cwd = outer.join("a $(touch pwned) 'b' \"c\" \\ `touch pwned`; touch pwned & *");
    fs::create_dir(&cwd).unwrap();
    fs::write(cwd.join("$HOME.toml"), GAUSSIAN).unwrap();
    fs::write(cwd.join("im age"), "").unwrap();
    let out = "r'\"$(touch pwned)";
    succeed(&cwd, &["slurm", "$HOME.toml", "--shards", "3", "--container", "im age", "--out", out]);
    for shard in ["1-of-3", "2-of-3", "3-of-4"] {
        fs::create_dir_all(cwd.join(out).join("shards").join(shard)).unwrap();
    }
    program(&outer, "apptainer", "printf '%s\\n' \"$PWD\" \"$FEWSTEP_CACHE\" \"$@\" > \"$SEEN\"");
    let seen = outer.join("seen");
    let run = |script: &str| {
        let mut bash = Command::new("bash");
        bash.arg(cwd.join(out).join("slurm").join(script)).current_dir(&outer).env("SEEN", &seen);
        bash.env("PATH", format!("{}:/usr/bin:/bin", outer.display()));
        bash.env("SLURM_ARRAY_JOB_ID", "77").env("SLURM_ARRAY_TASK_ID", "2");
        let status = bash.status().unwrap();
        assert!(status.success(), "{script}: {status}");
        read(&seen)
    };
    let here = cwd.to_str().unwrap();
    let contained = format!("{here}\n{here}/cache\nexec\n--bind\n{here}\n--pwd\n{here}\nim age\nfewstep\n");
    let sweep = format!("sweep\n$HOME.toml\n--out\n{out}\n--device\ncpu\n--shard\n2/3\n");
    assert_eq!(run("shards.sbatch"), format!("{contained}{sweep}"));
    // Shards of another number are not merged.
    let merge = format!("merge\n{out}\n{out}/shards/1-of-3\n{out}/shards/2-of-3\n");
    assert_eq!(run("merge.sbatch"), format!("{contained}{merge}"));
    let names: Vec<_> =
        outer.read_dir().unwrap().chain(cwd.read_dir().unwrap()).map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "pwned"), "{names:?}");
}

/// Whom SIGTERM comes to once the shard has begun.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Term {
    Nobody,
    /// The script, as before the time limit.
    Script,
    /// All processes, as to a task that is cancelled.
    All,
}

/// What becomes of a task whose shard is the shell script `shard`, in a job that Slurm calls `state` and restarted so often: its status,
/// what it asked of Slurm, and how many SIGTERM reached the shard.
fn task(shard: &str, state: &str, restarts: u32, term: Term) -> (Option<i32>, String, usize) {
    let (_kept, cwd) = folder();
    fs::write(cwd.join("image"), "").unwrap();
    succeed(&cwd, &["slurm", "gaussian.toml", "--shards", "3", "--container", "image"]);
    program(&cwd, "apptainer", shard);
    program(&cwd, "squeue", "[ \"$*\" = '--noheader --jobs=77_2 --format=%T' ] && echo \"$STATE\"");
    program(&cwd, "scontrol", "echo \"$@\" >> requeued");
    let mut bash = Command::new("bash");
    bash.arg("out/gaussian/slurm/shards.sbatch").current_dir(&cwd).env("STATE", state).stdout(Stdio::null());
    bash.env("PATH", format!("{}:/usr/bin:/bin", cwd.display())).env("SLURM_RESTART_COUNT", restarts.to_string());
    bash.env("SLURM_ARRAY_JOB_ID", "77").env("SLURM_ARRAY_TASK_ID", "2").stderr(Stdio::null());
    let mut running = bash.spawn().unwrap();
    if term != Term::Nobody {
        while !cwd.join("ready").exists() {
            assert!(running.try_wait().unwrap().is_none(), "{shard}: ended before it was ready");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let mut processes = vec![running.id().to_string()];
        if term == Term::All {
            processes.push(read(&cwd.join("pid")).trim().to_owned());
        }
        assert!(Command::new("kill").arg("-TERM").args(processes).status().unwrap().success());
    }
    let status = running.wait().unwrap().code();
    (status, read(&cwd.join("requeued")), read(&cwd.join("terms")).lines().count())
}

#[test]
fn a_task_is_requeued_where_that_helps_and_nowhere_else() {
    let requeued = "requeue 77_2\n";
    // Once told, takes a little to save, in which it would hear a second signal, and says how it ends.
    let saves = |status: u32| {
        format!(
            "trap 'echo TERM >> terms' TERM\necho $$ > pid\ntouch ready\nwhile [ ! -e terms ]; do sleep 0.02; done\n\
             sleep 0.5\nexit {status}"
        )
    };
    let (told, whole, broken) = (saves(143), saves(0), saves(1));
    let cases = [
        ("exit 0", "RUNNING", 0, Term::Nobody, Some(0), "", 0),
        ("exit 1", "RUNNING", 4, Term::Nobody, Some(0), requeued, 0),
        ("exit 1", "RUNNING", 5, Term::Nobody, Some(1), "", 0),
        ("exit 2", "RUNNING", 0, Term::Nobody, Some(2), "", 0),
        ("kill -KILL $$", "RUNNING", 4, Term::Nobody, Some(0), requeued, 0),
        ("kill -KILL $$", "RUNNING", 5, Term::Nobody, Some(137), "", 0),
        ("kill -KILL $$", "COMPLETING", 0, Term::Nobody, Some(137), "", 0),
        (&*told, "RUNNING", 0, Term::Script, Some(0), requeued, 1),
        // The end of the time limit comes as often as it comes.
        (&*told, "RUNNING", 50, Term::Script, Some(0), requeued, 1),
        // Cancelled, or requeued by somebody else.
        (&*told, "COMPLETING", 0, Term::All, Some(143), "", 1),
        // Slurm does not answer: told rather twice than not at all.
        (&*told, "", 0, Term::Script, Some(143), "", 1),
        // It was its last batch.
        (&*whole, "RUNNING", 0, Term::Script, Some(0), "", 1),
        // What cannot be saved is not tried for ever.
        (&*broken, "RUNNING", 0, Term::Script, Some(0), requeued, 1),
        (&*broken, "RUNNING", 5, Term::Script, Some(1), "", 1),
    ];
    for (shard, state, restarts, term, status, said, terms) in cases {
        let expected = (status, said.to_owned(), terms);
        assert_eq!(task(shard, state, restarts, term), expected, "{shard}; {state}, {restarts} restarts, {term:?}");
    }
}

/// `fewstep slurm … --submit` where `sbatch` is this shell script.
fn submitted(cwd: &Path, sbatch: &str) -> Output {
    program(cwd, "sbatch", sbatch);
    program(cwd, "scancel", "echo scancel \"$@\" >> log");
    let mut command = fewstep(cwd, &["slurm", "gaussian.toml", "--shards", "3", "--submit", "--out=-o ut"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", cwd.display())).output().unwrap()
}

#[test]
fn both_jobs_are_submitted_and_the_merge_waits() {
    let (_kept, cwd) = folder();
    // Ids as Slurm gives them, with the cluster's name where there are several.
    let answer = "echo \"$@\" >> log; case \"$*\" in *shards*) echo '77;a';; *) echo 78;; esac";
    let output = submitted(&cwd, answer);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "shards 77\nmerge 78\n");
    assert!(output.status.success());
    // Beside the scripts, where the logs are to be.
    let log = "--parsable shards.sbatch\n--parsable --dependency=afterok:77 merge.sbatch\n";
    assert_eq!(read(&cwd.join("-o ut/slurm/log")), log);

    // Where the merge is refused, the shards are taken back.
    fs::remove_file(cwd.join("-o ut/slurm/log")).unwrap();
    let output = submitted(&cwd, "case \"$*\" in *shards*) echo 79;; *) echo 'no such dependency' >&2; exit 1;; esac");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no such dependency") && said.contains("error: not submitted"), "{said}");
    assert_eq!(read(&cwd.join("-o ut/slurm/log")), "scancel 79\n");
}

#[test]
fn without_slurm_nothing_is_written() {
    let (_kept, cwd) = folder();
    let mut command = fewstep(&cwd, &["slurm", "gaussian.toml", "--shards", "3", "--submit"]);
    let output = command.env("PATH", &cwd).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("--submit: no sbatch on PATH"), "{said}");
    assert!(!cwd.join("out").exists());
}

#[test]
fn bad_arguments_are_refused_before_anything_is_written() {
    let (_kept, cwd) = folder();
    fs::write(cwd.join("broken.toml"), GAUSSIAN.replace("samples = 40", "samples = 1")).unwrap();
    let with = |more: &[&'static str]| [&["slurm", "gaussian.toml", "--shards", "4"], more].concat();
    let cases: Vec<Case> = vec![
        ("no shards", &["--shards"], vec!["slurm", "gaussian.toml"]),
        ("shards 0", &["--shards", "1..=10000"], vec!["slurm", "gaussian.toml", "--shards", "0"]),
        ("shards many", &["--shards", "1..=10000"], vec!["slurm", "gaussian.toml", "--shards", "10001"]),
        (
            "more than images",
            &["--shards 41", "gaussian.toml", "40 images"],
            vec!["slurm", "gaussian.toml", "--shards", "41"],
        ),
        ("no file", &["none.toml"], vec!["slurm", "none.toml", "--shards", "4"]),
        ("bad file", &["broken.toml:3:11", "samples is 1"], vec!["slurm", "broken.toml", "--shards", "4"]),
        ("time", &["--time", "hours:minutes:seconds"], with(&["--time", "1h"])),
        ("time line", &["--time", "hours:minutes:seconds"], with(&["--time", "60\n#SBATCH --uid=0"])),
        ("time short", &["--time", "at least 5 minutes"], with(&["--time", "4"])),
        ("partition", &["--partition", "letters, digits"], with(&["--partition", "a b"])),
        ("partition line", &["--partition", "letters, digits"], with(&["--partition", "a\nrm -rf x"])),
        ("account", &["--account", "letters, digits"], with(&["--account", "$(id)"])),
        ("gpus", &["--gpus", "a100:1"], with(&["--gpus", "two", "--device", "cuda"])),
        ("gpus idle", &["--gpus", "--device cpu uses none"], with(&["--gpus", "1"])),
        ("cpus", &["--cpus", "1..=1024"], with(&["--cpus", "0"])),
        ("memory", &["--memory", "16G"], with(&["--memory", "lots"])),
        ("max-running", &["--max-running"], with(&["--max-running", "0"])),
        ("container", &["--container none.sif", "no such file"], with(&["--container", "none.sif"])),
        ("container line", &["--container", "line breaks"], with(&["--container", "docker://a\nb"])),
        ("colon", &["a:b", "expected no ':'"], with(&["--container", "docker://a", "--out", "/nowhere/a:b"])),
        ("out line", &["--out", "line breaks"], with(&["--out", "a\nb"])),
        ("estimate", &["--estimate", "above 0"], with(&["--estimate", "0"])),
        ("estimates", &["--estimate", "EVALUATIONS,IMAGES"], with(&["--estimate", "1,2,3"])),
        ("both", &["--estimate", "--submit"], with(&["--estimate", "1", "--submit"])),
    ];
    expect_refusals(&cwd, cases);
    assert!(!cwd.join("out").exists() && !Path::new("/nowhere").exists());
    if !cfg!(feature = "cuda") {
        expect_refusals(&cwd, vec![("not built", &["--device cuda", "--features cuda"], with(&["--device", "cuda"]))]);
    }
}
