//! What becomes of a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pingraph::cluster::{SECRET_MAX, Secret};

use super::support::{Hosts, MARKER};

#[test]
fn a_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, format!("{MARKER}\n")).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Secret::from_file(&path).unwrap_err().to_string();
        let wanted = format!(
            "{}: the secret's file has mode {mode:o}: others can get at it; chmod 600 it",
            path.display()
        );
        assert_eq!(error, wanted);
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(Secret::from_file(&path).unwrap().expose(), MARKER);
    }
    let error = Secret::from_file(&folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("none: the secret cannot be read: "), "{error}");
}

#[test]
fn a_secret_has_bounds() {
    for (text, words) in [
        (String::new(), "at least 16 characters"),
        ("  fifteen letters  ".trim_end().to_owned(), "at least 16 characters"),
        ("x".repeat(SECRET_MAX + 1), "at most 4096 bytes"),
    ] {
        let error = Secret::from_text(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(text.is_empty() || !error.contains(text.trim()), "a secret in an error");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    fs::write(&path, vec![b'x'; 100_000]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Secret::from_file(&path).unwrap_err().to_string().contains("at most"));
    fs::write(&path, [0xff; 32]).unwrap();
    assert!(Secret::from_file(&path).is_err());
}

#[test]
fn a_random_secret_is_new_each_time_and_can_be_handed_on() {
    let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
    assert_ne!(one.expose(), other.expose());
    assert_eq!(one.expose().len(), 64);
    assert_eq!(Secret::from_text(one.expose()).unwrap().expose(), one.expose());
}

#[test]
fn nothing_shows_a_secret() {
    let secret = Secret::from_text(MARKER).unwrap();
    assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "Secret(..) Some(\n    Secret(..),\n)");
    // The logs of all tests are looked through as they are written, and the errors, too.
    let (options, _) = Hosts::new(1).options(0);
    assert!(!format!("{:?}", options.secret).contains("marker"));
}
