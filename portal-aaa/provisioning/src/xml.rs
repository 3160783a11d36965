//! XML encoding (placeholder).
