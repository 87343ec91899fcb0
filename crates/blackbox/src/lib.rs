//! Probing from outside: HTTP, TCP, TLS, DNS, ICMP, gRPC
