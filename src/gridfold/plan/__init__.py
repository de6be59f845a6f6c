"""What runs, in which jobs, and what each job must know; imported by the rules, therefore light."""
