"""How expectation, sampling rule and log-likelihood come out of a density; what a named approximation costs; the check by quadrature."""
