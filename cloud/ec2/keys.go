package ec2

import (
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"time"

	"github.com/billow-cloud/billow/api"
	shape "github.com/billow-cloud/billow/api/ec2"
	"github.com/billow-cloud/billow/cloud"
)

// KeyPair is the row of a key pair, found by its name.
type KeyPair struct {
	ID          string
	Name        string
	Type        string // "rsa" or "ed25519"
	Fingerprint string
	PublicKey   string // as a line of authorized_keys
	Created     time.Time
}

func noKeyPair(name string) error {
	return api.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

// keyPair finds a key pair by its ID.
func (s *Service) keyPair(tx *cloud.Tx, id string) (KeyPair, bool) {
	for _, k := range s.keyIDs.Each(tx, id) {
		return k, true
	}
	return KeyPair{}, false
}

// CreateKeyPair makes a key pair and gives the private half away. The key comes from the cloud's seeded generator, so
// that replays agree: it protects an instance of this cloud and nothing else.
func (s *Service) CreateKeyPair(tx *cloud.Tx, in *shape.CreateKeyPairInput) (*shape.CreateKeyPairOutput, error) {
	tags, err := specTags(in.TagSpecifications, "key-pair")
	if err != nil {
		return nil, err
	}
	if api.Value(in.KeyFormat) == "ppk" {
		return nil, api.Errorf("Unsupported", "Key format ppk is not supported here; use pem.")
	}
	k := KeyPair{Name: api.Value(in.KeyName), Type: api.Value(in.KeyType)}
	var material []byte
	if k.Type == "ed25519" {
		var seed [ed25519.SeedSize]byte
		fill(tx, seed[:])
		private := ed25519.NewKeyFromSeed(seed[:])
		blob := ed25519Blob(private.Public().(ed25519.PublicKey))
		k.PublicKey = "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob) + " " + k.Name
		k.Fingerprint = sha256Print(blob)
		material = pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: openSSH(private, k.Name)})
	} else {
		k.Type = "rsa"
		private := rsaKey(tx)
		k.PublicKey = "ssh-rsa " + base64.StdEncoding.EncodeToString(rsaBlob(&private.PublicKey)) + " " + k.Name
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		sum := sha1.Sum(der)
		k.Fingerprint = colons(sum[:])
		material = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	}
	if k, err = s.addKeyPair(tx, k, tags); err != nil {
		return nil, err
	}
	return &shape.CreateKeyPairOutput{
		KeyName: new(k.Name), KeyPairId: new(k.ID), KeyFingerprint: new(k.Fingerprint), KeyMaterial: new(strings.TrimSuffix(string(material), "\n")),
		Tags: tagShapes(tags),
	}, nil
}

func (s *Service) addKeyPair(tx *cloud.Tx, k KeyPair, tags []Tag) (KeyPair, error) {
	if k.Name == "" {
		return k, api.Errorf("MissingParameter", "The request must contain the parameter KeyName")
	}
	if s.keys.Has(tx, k.Name) {
		return k, api.Errorf("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	k.ID, k.Created = tx.ID("key-"), tx.Now().Truncate(time.Second)
	s.keys.Put(tx, k.Name, k)
	s.Tag(tx, k.ID, tags)
	return k, nil
}

// ImportKeyPair takes a public key: an OpenSSH line, or DER or PEM of an RSA key.
func (s *Service) ImportKeyPair(tx *cloud.Tx, in *shape.ImportKeyPairInput) (*shape.ImportKeyPairOutput, error) {
	tags, err := specTags(in.TagSpecifications, "key-pair")
	if err != nil {
		return nil, err
	}
	k := KeyPair{Name: api.Value(in.KeyName)}
	if !k.read(in.PublicKeyMaterial) {
		return nil, api.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	if k, err = s.addKeyPair(tx, k, tags); err != nil {
		return nil, err
	}
	return &shape.ImportKeyPairOutput{KeyName: new(k.Name), KeyPairId: new(k.ID), KeyFingerprint: new(k.Fingerprint), Tags: tagShapes(tags)}, nil
}

// read sets type, fingerprint and key from a public key.
func (k *KeyPair) read(material []byte) bool {
	if block, _ := pem.Decode(material); block != nil {
		material = block.Bytes
	}
	if public, err := x509.ParsePKIXPublicKey(material); err == nil {
		if r, ok := public.(*rsa.PublicKey); ok {
			return k.readRSA(r, "")
		}
		return false
	}
	words := strings.Fields(string(material))
	if len(words) < 2 {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil {
		return false
	}
	kind, rest := sshField(blob)
	if string(kind) != words[0] {
		return false
	}
	comment := strings.Join(words[2:], " ")
	switch words[0] {
	case "ssh-ed25519":
		if key, rest := sshField(rest); len(key) != ed25519.PublicKeySize || len(rest) != 0 {
			return false
		}
		k.Type, k.Fingerprint = "ed25519", sha256Print(blob)
		k.PublicKey = strings.TrimSpace(words[0] + " " + words[1] + " " + comment)
		return true
	case "ssh-rsa":
		e, rest := sshField(rest)
		n, rest := sshField(rest)
		if len(e) == 0 || len(e) > 4 || len(n) < 128 || len(rest) != 0 {
			return false
		}
		return k.readRSA(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, comment)
	}
	return false
}

func (k *KeyPair) readRSA(public *rsa.PublicKey, comment string) bool {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return false
	}
	sum := md5.Sum(der)
	k.Type, k.Fingerprint = "rsa", colons(sum[:])
	k.PublicKey = strings.TrimSpace("ssh-rsa " + base64.StdEncoding.EncodeToString(rsaBlob(public)) + " " + comment)
	return true
}

// DeleteKeyPair removes a key pair; a missing one is no error.
func (s *Service) DeleteKeyPair(tx *cloud.Tx, in *shape.DeleteKeyPairInput) (*shape.DeleteKeyPairOutput, error) {
	if in.KeyName == nil && in.KeyPairId == nil {
		return nil, api.Errorf("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	k, ok := s.keys.Get(tx, api.Value(in.KeyName))
	if in.KeyPairId != nil {
		k, ok = s.keyPair(tx, *in.KeyPairId)
	}
	out := &shape.DeleteKeyPairOutput{Return: new(true)}
	if ok {
		s.keys.Delete(tx, k.Name)
		s.tags.Delete(tx, k.ID)
		out.KeyPairId = new(k.ID)
	}
	return out, nil
}

// DescribeKeyPairs lists key pairs.
func (s *Service) DescribeKeyPairs(tx *cloud.Tx, in *shape.DescribeKeyPairsInput) (*shape.DescribeKeyPairsOutput, error) {
	var names []string
	for _, name := range in.KeyNames {
		if !s.keys.Has(tx, name) {
			return nil, noKeyPair(name)
		}
		names = append(names, name)
	}
	for _, id := range in.KeyPairIds {
		k, ok := s.keyPair(tx, id)
		if !ok {
			return nil, api.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", id)
		}
		names = append(names, k.Name)
	}
	found, _, err := listing[KeyPair]{
		rows: s.keys, id: func(k KeyPair) string { return k.ID }, ids: names, filters: in.Filters,
		fields: fields[KeyPair]{
			"key-name":    func(_ *cloud.Tx, k KeyPair) []string { return one(k.Name) },
			"key-pair-id": func(_ *cloud.Tx, k KeyPair) []string { return one(k.ID) },
			"fingerprint": func(_ *cloud.Tx, k KeyPair) []string { return one(k.Fingerprint) },
		},
	}.find(s, tx)
	out := &shape.DescribeKeyPairsOutput{}
	for _, k := range found {
		info := shape.KeyPairInfo{
			KeyName: new(k.Name), KeyPairId: new(k.ID), KeyType: new(k.Type), KeyFingerprint: new(k.Fingerprint), CreateTime: new(k.Created),
			Tags: tagShapes(s.Tags(tx, k.ID)),
		}
		if api.Value(in.IncludePublicKey) {
			info.PublicKey = new(k.PublicKey)
		}
		out.KeyPairs = append(out.KeyPairs, info)
	}
	return out, err
}
