"""What touches the machine: terminals, folders of the user, locks, spreadsheets."""
