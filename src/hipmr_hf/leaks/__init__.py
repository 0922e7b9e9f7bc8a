"""What must not be in a published file.

In: a folder or repository that is about to be published, or has been. Out: a `guard.LeakReport` of leaks, and
of remarks that a person must decide about. Public: `guard.find_leaks`, `guard.find_leaks_in_repo`,
`guard.check_no_leaks`.
"""
