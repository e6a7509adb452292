"""Mail: at-least-once carriage, exactly-once effect, and a receipt for every rung that was reached."""
