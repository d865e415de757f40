module policy-violation-operator.test/pause

go 1.24
