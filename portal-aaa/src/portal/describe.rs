//! The contract as files, for who writes another client: WSDL with this portal's address in it, XSD, JSON Schema. Pure.

use provisioning::schema::{JSON_SCHEMA, WSDL, WSDL_LOCATION, WSDL_XSD, XSD};

/// Longest host name with port (RFC 1035 §2.3.4).
const MAX_HOST: usize = 260;

/// Media type and text of what `query` asks for. `host` is the request's header of that name.
pub fn describe(query: &str, host: Option<&str>) -> Option<(&'static str, String)> {
    if query.eq_ignore_ascii_case("wsdl") {
        // Beside the WSDL, at the same path.
        let text = WSDL.replace(WSDL_XSD, "schemaLocation=\"?xsd\"");
        let text = match host.filter(|host| is_host(host)) {
            Some(host) => text.replace(WSDL_LOCATION, &format!("https://{host}/v1/credential")),
            None => text,
        };
        Some(("text/xml; charset=utf-8", text))
    } else if query.eq_ignore_ascii_case("xsd") {
        Some(("text/xml; charset=utf-8", XSD.to_owned()))
    } else if query.eq_ignore_ascii_case("json-schema") {
        Some(("application/schema+json", JSON_SCHEMA.to_owned()))
    } else {
        None
    }
}

/// Nothing in it that could end the attribute that it is put into.
fn is_host(host: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_was_asked() {
        let wsdl = |host| describe("wsdl", host).map(|(_, text)| text).unwrap_or_default();
        let ours = wsdl(Some("portal.test:8443"));
        assert_eq!(ours.matches("location=\"https://portal.test:8443/v1/credential\"").count(), 2);
        assert!(ours.contains("schemaLocation=\"?xsd\"") && !ours.contains(WSDL_LOCATION));
        assert!(wsdl(Some("[2001:db8::1]:443")).contains("https://[2001:db8::1]:443/v1/credential"));
        for odd in [None, Some(""), Some("a\"><x"), Some("a/b"), Some("a b"), Some("&x;")] {
            assert_eq!(wsdl(odd).matches(WSDL_LOCATION).count(), 2, "{odd:?}");
        }
    }

    #[test]
    fn only_what_there_is() {
        assert!(describe("WSDL", None).is_some() && describe("xsd", None).is_some());
        assert!(describe("json-schema", None).is_some());
        for other in ["", "wsdl=1", "x", "wsdl&x"] {
            assert_eq!(describe(other, None), None, "{other}");
        }
    }
}
