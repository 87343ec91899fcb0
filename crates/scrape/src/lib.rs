//! Scraping: pools, loops, labels, staleness, limits
