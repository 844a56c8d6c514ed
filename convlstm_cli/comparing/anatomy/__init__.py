"""What peepholes learned: their weights, how often the gates saturate, and what the forecast loses without them.

Owns how trained networks are examined, and the sentences about it; scoring/anatomy_result.py has the results.
May import scoring/ and what is below it."""
