"""What people did: decayed profiles, trends and co-visitation."""
