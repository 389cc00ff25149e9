"""What a GPU gives: loops, rules and nets beside their peers, in one sitting."""
