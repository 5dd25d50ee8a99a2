"""Random kills, cuts and losses under real workers, and a checker that knows every event sent: ``make chaos``."""
