//! HTTP client built from http_config: TLS, credentials, proxy, limits
