//! The schema and the codec say the same, judged by a real validator (`xmllint`, Debian package libxml2-utils).
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may assume")]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use common::{credential, refusal, report, request};
use proptest::{
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use provisioning::xml::{
    NAMESPACE, decode_credential, decode_refusal, decode_request, encode_accepted, encode_credential,
    encode_refusal, encode_report, encode_request,
};
use provisioning::{
    document::Document,
    format::{Format, FormatError},
};

/// Which of the documents the schema allows, in order.
fn validate(documents: &[String]) -> Vec<bool> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("schema-{}", std::process::id()));
    let folder = folder.join(std::thread::current().name().unwrap_or("test"));
    fs::create_dir_all(&folder).expect("a folder for the documents");
    let mut files = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let file = folder.join(format!("{number}.xml"));
        fs::write(&file, document).expect("a document written");
        files.push(file);
    }
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/wifi-offload-1.xsd");
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .arg(schema)
        .args(&files)
        .stdin(Stdio::null())
        .output()
        .expect("xmllint runs: apt-get install libxml2-utils");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let valid = files.iter().map(|file| {
        let name = file.display().to_string();
        // Something is said of every document; a validator that dies early must not look like agreement.
        assert!(said.contains(&name), "nothing on {name} in:\n{said}");
        said.contains(&format!("{name} validates\n"))
    });
    let valid = valid.collect();
    fs::remove_dir_all(&folder).expect("the folder removed");
    valid
}

/// As many values as one run of the validator should see.
fn some<S: Strategy>(strategy: S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}

#[test]
fn what_is_written_is_valid() {
    let mut documents = Vec::new();
    for value in some(request(), 100) {
        documents.push(encode_request(&value).expect("writable").as_str().to_owned());
    }
    for value in some(credential(), 100) {
        documents.push(encode_credential(&value).expect("writable").as_str().to_owned());
    }
    for value in some(report(), 50) {
        documents.push(encode_report(&value).expect("writable").as_str().to_owned());
    }
    documents.push(encode_accepted().expect("writable").as_str().to_owned());
    for value in some(refusal(), 30) {
        documents.push(encode_refusal(&value).expect("writable").as_str().to_owned());
    }
    let valid = validate(&documents);
    let bad: Vec<_> = documents.iter().zip(valid).filter(|(_, valid)| !valid).map(|(d, _)| d).collect();
    assert!(bad.is_empty(), "{} documents are not valid, first:\n{}", bad.len(), bad[0]);
}

/// What stands in a SOAP body, or in the detail of a fault there, by itself.
fn content(document: Result<Document, FormatError>) -> String {
    let document = document.expect("writable");
    let first = |marks: &[&str]| marks.iter().filter_map(|mark| document.as_str().find(mark)).min();
    let from = first(&["<credential", "<refusal"]).expect("an element of ours");
    let to = first(&["</detail>", "</env:Detail>", "</env:Body>"]).expect("its end");
    document.as_str()[from..to].to_owned()
}

#[test]
fn what_stands_in_soap_bodies_is_valid() {
    let mut documents = Vec::new();
    for format in [Format::Soap11, Format::Soap12] {
        documents.extend(some(request(), 50).iter().map(|value| content(format.encode_request(value))));
        documents.extend(some(credential(), 50).iter().map(|value| content(format.encode_credential(value))));
        documents.extend(some(refusal(), 30).iter().map(|value| content(format.encode_refusal(value))));
    }
    let bad: Vec<_> =
        documents.iter().zip(validate(&documents)).filter(|(_, v)| !v).map(|(d, _)| d).collect();
    assert!(bad.is_empty(), "{} documents are not valid, first:\n{}", bad.len(), bad[0]);
}

/// Whether XPath `path` finds something in the service description, in the eyes of xmllint.
fn described(path: &str) -> bool {
    let wsdl = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/wifi-offload-1.wsdl");
    let output = Command::new("xmllint")
        .args(["--nonet", "--xpath", &format!("boolean({path})")])
        .arg(wsdl)
        .stdin(Stdio::null())
        .output()
        .expect("xmllint runs: apt-get install libxml2-utils");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim() == "true"
}

#[test]
fn the_service_description_is_well_formed_and_names_the_schemas_elements() {
    let schema = include_str!("../schema/wifi-offload-1.xsd");
    for element in ["credential-request", "credential", "refusal", "credential-report", "report-accepted"] {
        assert!(described(&format!("//*[local-name()='part'][@element='w:{element}']")), "{element}");
        assert!(schema.contains(&format!("\n  <xs:element name=\"{element}\">")), "{element}");
    }
    assert!(!described("//*[local-name()='part'][@element='w:else']"));
    let import = format!("//*[local-name()='import'][@namespace='{NAMESPACE}']");
    assert!(described(&format!("{import}[@schemaLocation='wifi-offload-1.xsd']")));
    for (version, namespace) in [
        (Format::Soap11, "http://schemas.xmlsoap.org/wsdl/soap/"),
        (Format::Soap12, "http://schemas.xmlsoap.org/wsdl/soap12/"),
    ] {
        let name = version.name();
        let within = |what: &str| format!("//*[@name='{name}']/{what}");
        let ours = format!("namespace-uri()='{namespace}'");
        assert!(described(&within(&format!("*[local-name()='binding' and {ours}]"))), "{name}");
        assert!(described(&within(&format!("*[local-name()='address' and {ours}]"))), "{name}");
        let action = provisioning::xml::soap::ACTION;
        assert!(described(&within(&format!("*/*[{ours} and @soapAction='{action}']"))), "{name}");
    }
}

/// One change to the parts of a request.
#[derive(Debug, Clone)]
enum Change {
    None,
    Drop(Index),
    Repeat(Index),
    Swap(Index, Index),
    Insert(Index, &'static str),
    Value(Index, &'static str),
    Attribute(Index),
    Namespace,
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let extra = select(vec!["<more/>", "text", "<x:y xmlns:x='urn:x'/>", "<!-- remark -->", "\n", "<mac/>"]);
    let value = select(vec![
        "",
        " ",
        "1",
        "00101",
        "001010",
        "001010123456789",
        "0010101234567890",
        "49015420323751",
        "490154203237518",
        "4901542032375181",
        "49015420323751811",
        "٠٠١٠١٠١٢٣٤٥٦٧٨٩",
        "02:00:00:00:00:01",
        "01:00:00:00:00:01",
        "02-00-00-00-00-01",
        "020000000001",
        "0A:BB:cc:00:00:01",
        "attach",
        "used",
        "Used",
        " used",
        "agent/1 (x)",
        "a&#10;b",
        "a\tb",
        "é",
        "&#x61;&amp;&lt;",
        "<![CDATA[user]]>",
        "<b/>",
    ]);
    prop_oneof![
        6 => Just(Change::None),
        1 => index().prop_map(Change::Drop),
        1 => index().prop_map(Change::Repeat),
        1 => (index(), index()).prop_map(|(a, b)| Change::Swap(a, b)),
        2 => (index(), extra).prop_map(|(at, what)| Change::Insert(at, what)),
        4 => (index(), value).prop_map(|(at, what)| Change::Value(at, what)),
        1 => index().prop_map(Change::Attribute),
        1 => Just(Change::Namespace),
    ]
}

/// A request in which up to two things are not as they should be.
fn changed_request() -> impl Strategy<Value = String> {
    (request(), change(), change()).prop_map(|(request, first, second)| {
        let written = encode_request(&request).expect("writable");
        let mut parts: Vec<String> = written
            .as_str()
            .lines()
            .filter(|l| l.starts_with("  "))
            .map(|l| l.trim_start().to_owned())
            .collect();
        let mut namespace = NAMESPACE;
        for change in [first, second] {
            let count = parts.len();
            match change {
                Change::Drop(at) if count > 0 => drop(parts.remove(at.index(count))),
                Change::Repeat(at) if count > 0 => parts.push(parts[at.index(count)].clone()),
                Change::Swap(a, b) if count > 0 => parts.swap(a.index(count), b.index(count)),
                Change::Insert(at, what) => parts.insert(at.index(count + 1), what.to_owned()),
                Change::Value(at, what) if count > 0 => {
                    let part = &mut parts[at.index(count)];
                    if let (Some(from), Some(to)) = (part.find('>'), part.rfind("</")) {
                        part.replace_range(from + 1..to, what);
                    }
                }
                Change::Attribute(at) if count > 0 => {
                    let part = &mut parts[at.index(count)];
                    *part = part.replacen('>', " kind='x'>", 1);
                }
                Change::Namespace => namespace = "urn:wifi-offload:provisioning:2",
                _ => {}
            }
        }
        format!("<credential-request xmlns='{namespace}'>{}</credential-request>\n", parts.concat())
    })
}

#[test]
fn requests_are_read_exactly_when_they_are_valid() {
    let documents = some(changed_request(), 600);
    let valid = validate(&documents);
    let accepted = valid.iter().filter(|v| **v).count();
    assert!(accepted > 50 && accepted < 550, "the sample must have both kinds, has {accepted} valid of 600");
    for (document, valid) in documents.iter().zip(valid) {
        let read = decode_request(document.as_bytes());
        assert_eq!(read.is_ok(), valid, "codec says {read:?}, schema says valid = {valid}:\n{document}");
    }
}

#[test]
fn bad_replies_are_not_valid() {
    let credential = some(credential(), 1).remove(0);
    let good = encode_credential(&credential).expect("writable").as_str().to_owned();
    let without = |element: &str| {
        let (from, to) = (format!("<{element}>"), format!("</{element}>"));
        let (from, to) = (good.find(&from).expect("there"), good.find(&to).expect("there") + to.len());
        format!("{}{}", &good[..from], &good[to..])
    };
    let elements = [
        "username",
        "password",
        "eap",
        "outer",
        "inner",
        "server-name",
        "ca",
        "issued",
        "one-time",
        "policy",
        "enter-dbm",
        "probe-url",
    ];
    let mut documents: Vec<String> = elements.iter().map(|element| without(element)).collect();
    let refusal = |inner: &str| format!("<refusal xmlns='{NAMESPACE}'>{inner}</refusal>");
    documents.push(refusal(""));
    documents.push(refusal("<reason>because</reason>"));
    documents.push(refusal("<reason>no-session</reason><retry-after>-1</retry-after>"));
    documents.push(refusal("<retry-after>1</retry-after><reason>no-session</reason>"));
    let valid = validate(&documents);
    assert_eq!(valid, vec![false; documents.len()]);
    documents = vec![good.clone(), refusal("<reason>no-session</reason><retry-after>1</retry-after>")];
    assert_eq!(validate(&documents), [true, true]);
}

#[test]
fn the_examples_of_the_readme_are_valid() {
    let readme = include_str!("../README.md");
    let examples: Vec<String> = readme
        .split("```xml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect();
    assert_eq!(validate(&examples), [true; 4]);
    assert!(decode_request(examples[0].as_bytes()).is_ok());
    assert!(decode_credential(examples[1].as_bytes()).is_ok());
    assert!(decode_refusal(examples[2].as_bytes()).is_ok_and(|refusal| refusal.flaw.is_none()));
    assert!(decode_refusal(examples[3].as_bytes()).is_ok_and(|refusal| refusal.flaw.is_some()));
}
