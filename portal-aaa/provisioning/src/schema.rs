//! The contract with other implementations, as files: the portal serves them.

/// XML Schema of every XML message, in SOAP or not.
pub const XSD: &str = include_str!("../schema/wifi-offload-1.xsd");
/// Service description for SOAP (WSDL 1.1), with [`WSDL_LOCATION`] and [`WSDL_XSD`] in it.
pub const WSDL: &str = include_str!("../schema/wifi-offload-1.wsdl");
/// JSON Schema of every JSON message.
pub const JSON_SCHEMA: &str = include_str!("../schema/wifi-offload-1.schema.json");

/// The portal's address in [`WSDL`], to be replaced by the real one.
pub const WSDL_LOCATION: &str = "https://portal.operator.example/v1/credential";
/// Where [`WSDL`] says that [`XSD`] is, as an attribute.
pub const WSDL_XSD: &str = "schemaLocation=\"wifi-offload-1.xsd\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_replaced_is_there() {
        assert_eq!(WSDL.matches(WSDL_LOCATION).count(), 2);
        assert_eq!(WSDL.matches(WSDL_XSD).count(), 1);
    }
}
