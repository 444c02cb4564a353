//! The repository's texts against the cells they speak of.

mod common;

use common::{repository, succeed};

#[test]
fn tables_and_figures_in_texts_are_what_the_cells_say() {
    let printed = succeed(&repository(), &["documents", "--check"]);
    assert_eq!(printed.matches("as the cells say").count(), 3, "{printed}");
    // A text without blocks would always be as the cells say.
    for (text, blocks) in [("README.md", 5), ("results/README.md", 15), ("benches/README.md", 1)] {
        let text = std::fs::read_to_string(repository().join(text)).unwrap();
        assert!(text.matches("<!-- end -->").count() >= blocks);
    }
}

#[test]
#[cfg(unix)]
fn a_changed_figure_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let results = repository().join("results");
    std::os::unix::fs::symlink(&results, folder.path().join("results")).unwrap();
    let row = text.lines().find(|line| line.starts_with("| DEIS-2 | ")).unwrap();
    let other = row.replacen("0.1", "0.2", 1);
    std::fs::write(folder.path().join("README.md"), text.replace(row, &other)).unwrap();
    let output = common::run(folder.path(), &["documents", "README.md", "--check"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    let line = 1 + text.lines().position(|line| line == row).unwrap();
    assert!(message.contains(&format!("README.md:{line}: not what the cells say")), "{message}");
}
