//! `portal-aaa policy`: said, shown, refused, carried from one installation to another.

use std::fs;

use serde_json::{Value, json};

use super::{IMSI, Installation, MAC};

impl Installation {
    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_str(&self.run(&all).well()).unwrap()
    }
}

#[test]
fn what_a_device_would_get_and_why() {
    let installation = Installation::new();
    let effective = |more: &[&str]| installation.json(&[&["policy", "effective"], more].concat());
    assert_eq!(effective(&[])["version"], 1);
    assert_eq!(effective(&[])["signed"], true);
    assert_eq!(installation.json(&["policy", "list"]), json!([]));
    let set = |more: &[&str]| installation.run(&[&["policy", "set"], more].concat());
    assert_eq!(
        set(&["--default", "dwell-secs=7", "offload=on-request"]).well(),
        "changed: 1; devices get version 2 with their next credential\n"
    );
    assert_eq!(set(&["--default", "dwell-secs=7"]).well(), "unchanged; devices get version 2\n");
    set(&["--group", "gold", "--json", "dwell-secs=8", "lifetime=60"]).well();
    set(&["--mac", "02-00-00-00-00-01", "mac=unbound", "ap-filter=any"]).well();
    installation.run(&["subscriber", "add", "--imsi", IMSI, "--group", "gold"]).well();

    let found = effective(&["--imsi", IMSI, "--mac", MAC]);
    assert_eq!((&found["group"], &found["version"]), (&json!("gold"), &json!(5)));
    for (setting, value, origin) in [
        ("dwell-secs", json!(8), "group gold"),
        ("lifetime", json!(60), "group gold"),
        ("offload", json!("on-request"), "default"),
        ("ap-filter", json!("any"), "device 02:00:00:00:00:01"),
        ("mac", json!("unbound"), "device 02:00:00:00:00:01"),
        ("drain-secs", json!(30), "configuration"),
        ("sms", json!("never"), "configuration"),
    ] {
        assert_eq!(found["settings"][setting], value, "{setting}");
        assert_eq!(found["origins"][setting], origin, "{setting}");
    }
    let text = installation.run(&["policy", "effective", "--group", "gold"]).well();
    assert!(text.contains("dwell-secs") && text.contains("8  (group gold)"), "{text}");
    // The credential's lifetime is the group's; another device's is the configuration's.
    assert!(installation.issue(&[])["expires"].is_string());
    let other = ["credential", "issue", "--imei", "490154203237518", "--mac", MAC, "--json"];
    let other: Value = serde_json::from_str(&installation.run(&other).well()).unwrap();
    assert_eq!(other["expires"], Value::Null);

    installation.run(&["policy", "unset", "--group", "gold", "lifetime"]).well();
    assert_eq!(effective(&["--imsi", IMSI])["settings"]["lifetime"], "device");
    installation.run(&["policy", "delete", "--group", "gold"]).well();
    assert!(
        installation
            .run(&["policy", "show", "--group", "gold"])
            .badly(1)
            .contains("nothing is said for group gold")
    );
    assert_eq!(installation.holding(&[IMSI]), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_cannot_work_is_refused_with_field_and_reason() {
    let installation = Installation::new();
    installation.run(&["policy", "set", "--group", "gold", "leave-dbm=-70"]).well();
    for (arguments, expected) in [
        (&["--default", "enter-dbm=-80"][..], "default: leave-dbm: must lie below enter-dbm"),
        (&["--default", "enter-dbm=-72"], "group gold: leave-dbm: must lie below"),
        (&["--default", "moon=full"], "moon: unknown field"),
        (&["--default", "version=9"], "version: is counted by the portal"),
        (&["--group", "x", "offload=sometimes"], "group x: offload: unknown variant"),
        (&["--group", "x", "passpoints=[{ priority = 1 }]"], "passpoints.0: needs roaming-consortiums"),
        (&["--mac", MAC, "outer=ttls", "inner=gtc"], "inner: outer = \"ttls\" goes with"),
        (&["--mac", MAC, "dwell-secs"], "dwell-secs: is no SETTING=VALUE"),
    ] {
        let said = installation.run(&[&["policy", "set"], arguments].concat()).badly(1);
        assert!(said.contains(expected), "{expected} in {said}");
    }
    for arguments in
        [&["--default", "--group", "x", "a=1"][..], &["a=1"], &["--default"], &["--mac", "x", "a=1"]]
    {
        installation.run(&[&["policy", "set"], arguments].concat()).badly(2);
    }
    assert_eq!(installation.json(&["policy", "list"])[0]["settings"], json!(["leave-dbm"]));
    assert_eq!(installation.json(&["policy", "effective"])["version"], 2);
}

#[test]
fn policies_go_from_one_installation_to_another() {
    let (from, to) = (Installation::new(), Installation::new());
    from.run(&["policy", "set", "--default", "dwell-secs=7"]).well();
    from.run(&[
        "policy",
        "set",
        "--group",
        "gold & silver",
        "passpoints=[{ priority = 1, realm = \"a.example\" }]",
    ])
    .well();
    from.run(&["policy", "set", "--mac", MAC, "offload=never"]).well();
    for format in ["toml", "json"] {
        let text = from.run(&["policy", "export", "--format", format]).well();
        let file = to.path("policies");
        fs::write(&file, &text).unwrap();
        to.run(&["policy", "set", "--group", "old", "dwell-secs=9"]).well();
        let import = ["policy", "import", file.to_str().unwrap()];
        to.run(&import).well();
        assert_eq!(to.json(&["policy", "list"]).as_array().unwrap().len(), 4);
        to.run(&[&import[..], &["--prune"]].concat()).well();
        assert_eq!(to.run(&["policy", "export", "--format", format]).well(), text);
        let again = to.json(&[&import[..], &["--prune"]].concat());
        assert_eq!(again["changed"], 0);
    }
    // All of it or nothing.
    let file = to.path("policies");
    fs::write(&file, "[default]\ndwell-secs = 1\n[group.x]\noffload = \"perhaps\"\n").unwrap();
    let said = to.run(&["policy", "import", file.to_str().unwrap()]).badly(1);
    assert!(said.contains("group x: offload: unknown variant"), "{said}");
    assert_eq!(to.json(&["policy", "effective"])["settings"]["dwell-secs"], 7);
}
