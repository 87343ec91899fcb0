//! Go's regular expressions (RE2 syntax), as every configuration of this field uses them
