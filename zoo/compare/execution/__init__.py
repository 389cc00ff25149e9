"""From planned runs to finished ones: workers, leases, retries, costs."""
