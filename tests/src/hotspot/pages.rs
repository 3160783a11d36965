//! The gateway's pages: HTML with the WISPr XML in a comment.

/// One field of a message.
pub(super) type Field<'a> = (&'a str, &'a str);

/// A page with one message.
pub(super) fn page(element: &str, message_type: u32, code: u32, fields: &[Field<'_>]) -> String {
    let fields: String =
        fields.iter().map(|(name, value)| format!("<{name}>{}</{name}>\r\n", escape(value))).collect();
    format!(
        "<html><head><title>Hotspot</title></head><body>Hotspot\r\n<!--\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <WISPAccessGatewayParam xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:noNamespaceSchemaLocation=\"http://www.acmewisp.example/WISPAccessGatewayParam.xsd\">\r\n<{element}>\r\n\
         <MessageType>{message_type}</MessageType>\r\n<ResponseCode>{code}</ResponseCode>\r\n{fields}</{element}>\r\n\
         </WISPAccessGatewayParam>\r\n-->\r\n</body></html>\r\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
