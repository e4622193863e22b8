"""The pages: each module is one place in the dashboard."""
