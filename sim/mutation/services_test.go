package mutation

// What instances have beside themselves: addresses and volumes.
var ofAddressesAndVolumes = []mutant{
	{
		name: "an address that moves leaves the other side as it was",
		why:  "the instance that had the Elastic IP shows it still, and has no address of its own again (EC-IP-05)",
		file: "cloud/ec2/elasticips.go",
		old:  "		e = s.disassociate(tx, e)\n",
		new:  "",
		run:  "TestElasticIPMoves",
	},
	{
		name: "AllowReassociation does not matter",
		why:  "who wants an address only if it is free takes it from somebody (EC-IP-01)",
		file: "cloud/ec2/elasticips.go",
		old:  "in.AllowReassociation != nil && !*in.AllowReassociation",
		new:  "in.AllowReassociation != nil && *in.AllowReassociation",
		run:  "TestElasticIPMoves",
	},
	{
		name: "an instance that ends keeps its Elastic IP",
		why:  "the address can neither be released nor found free (EC-IP-07)",
		file: "cloud/ec2/states.go",
		old:  "		e.AssociationID, e.InstanceID, i.ElasticIP = \"\", \"\", \"\"\n",
		new:  "		i.ElasticIP = \"\"\n",
		run:  "TestElasticIPOverStopAndStart",
	},
	{
		name: "an address that is in use is released",
		why:  "two accounts have the same address (EC-IP-08)",
		file: "cloud/ec2/elasticips.go",
		old:  "	if e.AssociationID != \"\" { // EC-IP-08\n",
		new:  "	if e.AllocationID == \"\" {\n",
		run:  "TestElasticIPRefuses",
	},
	{
		name: "a volume of another zone is attached",
		why:  "what works here fails on AWS (EC-VO-02)",
		file: "cloud/ec2/attachments.go",
		old:  "	case v.Zone != i.Zone:\n",
		new:  "	case v.Zone == \"\":\n",
		run:  "TestVolumesOfOtherZones",
	},
	{
		name: "volumes outlive their instance against DeleteOnTermination",
		why:  "every instance of a group leaves a volume behind, until the disk is full (EC-IN-04)",
		file: "cloud/ec2/attachments.go",
		old:  "v.Attachment.DeleteOnTermination || v.State == volumeCreating",
		new:  "v.State == volumeCreating",
		run:  "TestBlockDeviceMappings",
	},
	{
		name: "volumes end with their instance against DeleteOnTermination",
		why:  "data that somebody attached by hand is lost (EC-IN-04)",
		file: "cloud/ec2/attachments.go",
		old:  "		case v.Attachment.DeleteOnTermination ||",
		new:  "		case !v.Attachment.DeleteOnTermination ||",
		run:  "TestVolumesOfOtherZones",
	},
}

var ofQueues = []mutant{
	{
		name: "a message that was received can be received at once",
		why:  "two workers do the same work",
		file: "cloud/sqs/messages.go",
		old:  "s.keep(tx, q.Name, m, tx.Now().Add(seconds(hide)))",
		new:  "s.keep(tx, q.Name, m, tx.Now().Add(0*seconds(hide)))",
		run:  "TestAMessageIsHiddenUntilItIsDeletedOrItsTimeIsOver",
	},
	{
		name: "an old receipt deletes a message that somebody else has",
		why:  "a slow worker takes the message away from the one that it came to after it",
		file: "cloud/sqs/messages.go",
		old:  "	if err == nil && exists && fresh {\n",
		new:  "	if err == nil && exists && (fresh || m.Receives > 1) {\n",
		run:  "TestAMessageIsHiddenUntilItIsDeletedOrItsTimeIsOver",
	},
	{
		name: "a dead letter is received once too often",
		why:  "maxReceiveCount is not what it says",
		file: "cloud/sqs/messages.go",
		old:  "m.Receives < q.MaxReceives",
		new:  "m.Receives <= q.MaxReceives",
		run:  "TestDelayRetentionAndRedrive",
	},
	{
		name: "messages are kept for twice their retention",
		why:  "work that is of no use any more is done",
		file: "cloud/sqs/messages.go",
		old:  "end := m.Sent.Add(seconds(q.Retention))",
		new:  "end := m.Sent.Add(2 * seconds(q.Retention))",
		run:  "TestDelayRetentionAndRedrive",
	},
}

var ofIdentities = []mutant{
	{
		name: "within a document the first Allow wins over a Deny",
		why:  "a policy that allows all but one thing allows that too (EC-IA-02)",
		file: "cloud/iam/policy/policy.go",
		old:  "v == Allowed && !s.Deny || !s.applies(r)",
		new:  "v == Allowed || !s.applies(r)",
		run:  "TestDecisionsAgainstTheObviousWay",
	},
	{
		name: "an Allow of one policy wins over the Deny of another",
		why:  "the policy that keeps people away from production does not (EC-IA-02)",
		file: "cloud/iam/policy/policy.go",
		old:  "			if verdict == Denied {\n",
		new:  "			if verdict == Denied && allowed.Verdict != Allowed {\n",
		run:  "TestDecisionsAgainstTheObviousWay",
	},
	{
		name: "what no policy allows is allowed",
		why:  "a user without a policy may do everything (EC-IA-02)",
		file: "cloud/iam/policy/policy.go",
		old:  "	case allowed.Verdict != Allowed:\n		return Decision{Silent,",
		new:  "	case allowed.Verdict != Allowed:\n		return Decision{Allowed,",
		run:  "TestDecisionsAgainstTheObviousWay",
	},
	{
		name: "a permissions boundary does not bound",
		why:  "who may make users makes one that may do more than they (EC-IA-02)",
		file: "cloud/iam/policy/policy.go",
		old:  "l.limit && said == Silent && refused == nil",
		new:  "l.limit && said == Silent && refused == nil && l.why == BySession",
		run:  "TestDecisionsAgainstTheObviousWay",
	},
}

var ofEvents = []mutant{
	{
		name: "anything-but is anything of",
		why:  "a rule hears of what it must not, and of nothing else",
		file: "cloud/events/pattern/parse.go",
		old:  "return !slices.ContainsFunc(fits,",
		new:  "return slices.ContainsFunc(fits,",
		run:  "TestOperators",
	},
	{
		name: "a rate is due at the instant at which it was",
		why:  "a rule is run again and again at the same instant, or never",
		file: "cloud/events/schedule/schedule.go",
		old:  "start.Add((gone + 1) * s.rate)",
		new:  "start.Add(gone * s.rate)",
		run:  "TestNext",
	},
}

var ofFunctions = []mutant{
	{
		name: "an asynchronous invocation is tried twice only",
		why:  "an event is given up that the last attempt would have done (EC-EV-04)",
		file: "cloud/lambda/invocations.go",
		old:  "	if i.Attempt > retries {\n",
		new:  "	if i.Attempt >= retries {\n",
		run:  "TestRetries",
	},
	{
		name: "the first retry is as late as the second",
		why:  "what failed for an instant is late by a minute (EC-EV-04)",
		file: "cloud/lambda/invocations.go",
		old:  "retryAfter[min(int(i.Attempt)-1, len(retryAfter)-1)]",
		new:  "retryAfter[min(int(i.Attempt), len(retryAfter)-1)]",
		run:  "TestRetries",
	},
}

var ofHooks = []mutant{
	{
		name: "any token completes a lifecycle action",
		why:  "a worker that is late completes the action of the launch that came after its own (AS-HK-05)",
		file: "cloud/autoscaling/hooks.go",
		old:  "(token == nil || w.Token == *token)",
		new:  "(token == nil || w.Token != \"\")",
		run:  "TestOnlyItsTokenCompletesAnAction",
	},
}
