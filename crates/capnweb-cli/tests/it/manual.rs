//! Completion scripts and manual pages.

use crate::support::{ok, temporary};

#[tokio::test]
async fn every_shell_has_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = ok(&["completions", shell]).await;
        assert!(
            script.contains("capnweb") && script.contains("peer-version"),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn there_is_a_manual_page_for_each_command() {
    let page = ok(&["man"]).await;
    assert!(page.contains(".TH capnweb 1"), "{page}");
    assert!(page.contains("one round trip"));
    let folder = temporary("man");
    ok(&["man", "--out", folder.to_str().unwrap()]).await;
    for command in ["call", "repl", "listen", "bench", "describe", "dts"] {
        let page = std::fs::read_to_string(folder.join(format!("capnweb-{command}.1")));
        assert!(page.unwrap().contains("capnweb"), "{command}");
    }
}
