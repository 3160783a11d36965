//! Where an answer leads: `Location` (RFC 9110 §10.2.2), or a page's `<meta http-equiv="refresh" content="0; url=…">`
//! (WHATWG HTML §4.2.5.3). Pure.

use url::Url;

use super::{Answer, message::MAX_PAGE};

/// Longest URL that is followed.
const MAX_URL: usize = 2048;
/// Tags that are looked at.
const MAX_TAGS: usize = 64;

/// The next URL, where the answer to `at` names one that can be followed.
pub(super) fn next(answer: &Answer, at: &Url) -> Option<Url> {
    if (300..400).contains(&answer.status) {
        return join(at, answer.location.as_deref()?);
    }
    join(at, &refresh(&answer.body)?)
}

/// A reference resolved against where it stood; only what HTTP can fetch, and nothing with a password in it.
pub(super) fn join(at: &Url, reference: &str) -> Option<Url> {
    if reference.len() > MAX_URL {
        return None;
    }
    let mut url = at.join(reference.trim()).ok()?;
    url.set_fragment(None);
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

fn refresh(body: &[u8]) -> Option<String> {
    let body = body.get(..body.len().min(MAX_PAGE))?;
    let page = String::from_utf8_lossy(body);
    let lower = page.to_ascii_lowercase();
    lower.match_indices("<meta").take(MAX_TAGS).find_map(|(at, _)| {
        let end = at + lower.get(at..)?.find('>')?;
        let (tag, folded) = (page.get(at..end)?, lower.get(at..end)?);
        let equiv = value(folded, folded, "http-equiv")?;
        let content = value(tag, folded, "content").filter(|_| equiv == "refresh")?;
        let (_, url) = content.split_once([';', ','])?;
        let url = url.trim_start();
        let named = url.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("url"));
        let url = if named { url.get(3..)?.trim_start().strip_prefix('=')? } else { url };
        let url = url.trim().trim_matches(['"', '\'']);
        (!url.is_empty()).then(|| url.replace("&amp;", "&"))
    })
}

/// An attribute's value; `folded` is the tag in lower case.
fn value<'a>(tag: &'a str, folded: &str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + folded.get(from..)?.find(name)?;
        let rest = tag.get(at + name.len()..)?.trim_start();
        let alone = tag.get(..at)?.ends_with(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        from = at + name.len();
        if let Some(rest) = rest.strip_prefix('=').filter(|_| alone) {
            let rest = rest.trim_start();
            return match rest.chars().next()? {
                quote @ ('"' | '\'') => rest.get(1..)?.split(quote).next(),
                _ => rest.split(|c: char| c.is_whitespace()).next(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, location: Option<&str>, body: &str) -> Answer {
        Answer { status, location: location.map(str::to_owned), body: body.as_bytes().to_vec() }
    }

    fn leads(answer: &Answer) -> Option<String> {
        next(answer, &Url::parse("http://probe.example/a/b?c").unwrap()).map(String::from)
    }

    #[test]
    fn a_redirect_leads_on() {
        for (location, url) in [
            ("https://g.example/l?x=1#y", Some("https://g.example/l?x=1")),
            ("/login", Some("http://probe.example/login")),
            ("//g.example/l", Some("http://g.example/l")),
            ("http://u:p@g.example/", None),
            ("file:///etc/passwd", None),
            ("ftp://g.example/", None),
            ("javascript:alert(1)", None),
            ("http://", None),
        ] {
            assert_eq!(leads(&answer(302, Some(location), "")).as_deref(), url, "{location}");
        }
        assert_eq!(leads(&answer(302, None, "")), None);
        assert_eq!(leads(&answer(200, Some("http://g.example/"), "")), None);
        assert_eq!(leads(&answer(302, Some(&format!("/{}", "x".repeat(MAX_URL))), "")), None);
    }

    #[test]
    fn a_page_may_refresh_itself() {
        for (page, url) in [
            (
                "<meta http-equiv=\"refresh\" content=\"0; url=http://g.example/?a=1&amp;b=2\">",
                Some("http://g.example/?a=1&b=2"),
            ),
            ("<META content='5;URL=/x' HTTP-EQUIV=Refresh>", Some("http://probe.example/x")),
            (
                "<meta charset=utf-8><meta http-equiv=refresh content=\"0;url='/Y'\"/>",
                Some("http://probe.example/Y"),
            ),
            ("<meta http-equiv=\"refresh\" content=\"30\">", None),
            ("<meta name=\"refresh\" content=\"0;url=/x\">", None),
            ("<meta http-equiv=\"refresh\" content=\"0;url=/x\"", None),
            ("<meta", None),
        ] {
            assert_eq!(leads(&answer(200, None, page)).as_deref(), url, "{page}");
        }
    }

    proptest! {
        #[test]
        fn any_page_leads_somewhere_or_nowhere(page in "(<meta |http-equiv|refresh|content|=|\"|'|;|url|>|\\PC){0,40}") {
            let _ = leads(&answer(200, None, &page));
        }
    }
}
