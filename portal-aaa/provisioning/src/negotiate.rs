//! Which format a request is in and which one its reply should have, by HTTP headers (RFC 9110 §8.3, §12.5.1). Pure; the
//! portal calls it.

use crate::{
    format::Format,
    xml::soap::{ACTION, REPORT_ACTION, SoapError},
};

/// Why headers lead to no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// The request's media type is none of ours.
    #[error(
        "Content-Type is none of application/xml, application/json, application/soap+xml (SOAP 1.2) and text/xml \
         (SOAP 1.1)"
    )]
    ContentType,
    /// Encoded otherwise than in UTF-8.
    #[error("the charset in Content-Type is not utf-8")]
    Charset,
    /// The reply may be in none of our media types.
    #[error(
        "Accept allows none of application/xml, application/json, application/soap+xml (SOAP 1.2) and text/xml \
         (SOAP 1.1)"
    )]
    Accept,
}

impl NegotiateError {
    /// HTTP status.
    pub fn http_status(self) -> u16 {
        match self {
            Self::ContentType | Self::Charset => 415,
            Self::Accept => 406,
        }
    }

    /// Stable code for logs and documentation.
    pub fn code(self) -> &'static str {
        match self {
            Self::ContentType => "content-type",
            Self::Charset => "charset",
            Self::Accept => "accept",
        }
    }
}

/// Format of a request. Without a `Content-Type` it is XML.
pub fn request_format(content_type: Option<&str>) -> Result<Format, NegotiateError> {
    let Some(value) = content_type else { return Ok(Format::Xml) };
    let format = Format::of_content_type(value).ok_or(NegotiateError::ContentType)?;
    match parameter(value, "charset") {
        // US-ASCII is a part of UTF-8.
        Some(charset)
            if !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("us-ascii") =>
        {
            Err(NegotiateError::Charset)
        }
        _ => Ok(format),
    }
}

/// Format of a reply: what `Accept` likes best; where it likes several the same, or says nothing, that of the request.
pub fn reply_format(accept: Option<&str>, request: Format) -> Result<Format, NegotiateError> {
    let Some(accept) = accept.filter(|value| !value.trim().is_empty()) else { return Ok(request) };
    let mut best = (0, None);
    for format in [request].into_iter().chain(Format::ALL) {
        let quality = quality(accept, format.media_type());
        if quality > best.0 {
            best = (quality, Some(format));
        }
    }
    best.1.ok_or(NegotiateError::Accept)
}

/// A SOAP request must not say that it wants something else: 1.1 in the header `SOAPAction` (§6.1.1: must be there; empty
/// leaves it to the URL), 1.2 in the parameter `action`.
pub fn check_action(
    format: Format,
    content_type: Option<&str>,
    soap_action: Option<&str>,
) -> Result<(), SoapError> {
    let action = match format {
        Format::Xml | Format::Json => return Ok(()),
        Format::Soap11 => soap_action.ok_or(SoapError::Action)?,
        Format::Soap12 => content_type.and_then(|value| parameter(value, "action")).unwrap_or_default(),
    };
    let action = action.trim().trim_matches('"');
    if action.is_empty() || action == ACTION || action == REPORT_ACTION {
        Ok(())
    } else {
        Err(SoapError::Action)
    }
}

/// Value of a parameter, without quotes. No value of ours has a quote or semicolon inside.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// How much `accept` likes this media type, in thousandths: what its most specific range says.
fn quality(accept: &str, media_type: &str) -> u16 {
    let any = media_type.split('/').next().map(|kind| format!("{kind}/*")).unwrap_or_default();
    let mut found = (0, 0);
    for range in accept.split(',') {
        let name = range.split(';').next().unwrap_or_default().trim();
        let specific = if name.eq_ignore_ascii_case(media_type) {
            3
        } else if name.eq_ignore_ascii_case(&any) {
            2
        } else if name == "*/*" {
            1
        } else {
            continue;
        };
        if specific > found.0 {
            found = (specific, parameter(range, "q").map_or(1000, thousandths));
        }
    }
    found.1
}

/// `0.5` as 500; what is no weight (RFC 9110 §12.4.2) is no wish.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !digits(fraction) {
        return 0;
    }
    let fraction = format!("{fraction:0<3}").parse().unwrap_or(0);
    if whole == "1" { 1000 } else { fraction }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_content_type_names_the_format() {
        for (value, expected) in [
            ("application/xml", Ok(Format::Xml)),
            ("Application/XML; Charset=\"UTF-8\"", Ok(Format::Xml)),
            ("text/xml;charset=us-ascii", Ok(Format::Soap11)),
            ("application/soap+xml; action=\"x\"", Ok(Format::Soap12)),
            ("application/json", Ok(Format::Json)),
            ("application/json; charset=utf-16", Err(NegotiateError::Charset)),
            ("text/xml; charset=iso-8859-1", Err(NegotiateError::Charset)),
            ("text/plain", Err(NegotiateError::ContentType)),
            ("application/xml-dtd", Err(NegotiateError::ContentType)),
            ("application/x-www-form-urlencoded", Err(NegotiateError::ContentType)),
            ("multipart/related; type=\"application/xop+xml\"", Err(NegotiateError::ContentType)),
            ("", Err(NegotiateError::ContentType)),
            (";", Err(NegotiateError::ContentType)),
        ] {
            assert_eq!(request_format(Some(value)), expected, "{value}");
        }
        assert_eq!(request_format(None), Ok(Format::Xml));
    }

    #[test]
    fn the_reply_is_what_accept_likes_best_and_else_as_the_request() {
        for request in Format::ALL {
            for accept in [None, Some(""), Some("*/*"), Some("text/html, */*;q=0.1"), Some("*/*;q=0.001")] {
                assert_eq!(reply_format(accept, request), Ok(request), "{accept:?}");
            }
            for format in Format::ALL {
                assert_eq!(reply_format(Some(format.media_type()), request), Ok(format));
                let content_type = format.request_content_type();
                assert_eq!(reply_format(Some(content_type), request), Ok(format));
            }
            for none in
                ["text/html", "image/*", "*/*;q=0", "application/xml;q=0", "application/xml;q=x", ",;,"]
            {
                assert_eq!(reply_format(Some(none), request), Err(NegotiateError::Accept), "{none}");
            }
        }
        for (accept, request, expected) in [
            ("application/*", Format::Json, Format::Json),
            ("application/*", Format::Soap11, Format::Xml),
            ("text/*", Format::Json, Format::Soap11),
            ("application/json;q=0.5, application/xml;q=0.6", Format::Json, Format::Xml),
            ("application/json, application/xml", Format::Json, Format::Json),
            ("application/json;q=0, */*", Format::Json, Format::Xml),
            ("*/*;q=1, application/xml;q=0.2", Format::Xml, Format::Soap11),
            ("text/xml, multipart/related", Format::Soap11, Format::Soap11),
        ] {
            assert_eq!(reply_format(Some(accept), request), Ok(expected), "{accept}");
        }
    }

    #[test]
    fn soap_says_what_it_wants() {
        let with = |format, content_type, action| check_action(format, content_type, action).is_ok();
        assert!(with(Format::Xml, None, None) && with(Format::Json, None, Some("x")));
        for good in ["\"urn:wifi-offload:provisioning:1:request\"", ACTION, "\"\"", ""] {
            assert!(with(Format::Soap11, None, Some(good)), "{good}");
        }
        assert!(!with(Format::Soap11, None, None) && !with(Format::Soap11, None, Some("\"urn:x\"")));
        assert!(with(Format::Soap12, Some(Format::Soap12.request_content_type()), None));
        assert!(with(Format::Soap12, Some("application/soap+xml"), Some("ignored")));
        assert!(!with(Format::Soap12, Some("application/soap+xml;action=\"urn:x\""), None));
    }

    proptest! {
        #[test]
        fn arbitrary_headers_do_not_panic(value in ".{0,80}", request in proptest::sample::select(Format::ALL.to_vec())) {
            let _ = (request_format(Some(&value)), reply_format(Some(&value), request));
            let _ = check_action(request, Some(&value), Some(&value));
        }
    }
}
