//! Recording and alerting rules
