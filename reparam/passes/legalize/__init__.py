"""Forms that a target's runtime takes, for operators that it does not."""
