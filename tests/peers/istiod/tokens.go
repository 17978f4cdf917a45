package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// claims are those of a token that Kubernetes projects into a pod.
type claims struct {
	Kubernetes struct {
		Namespace      string
		ServiceAccount struct{ Name string }
		Pod            struct{ Name, UID string }
	} `json:"kubernetes.io"`
}

// answerTokenReviews makes the cluster's API server believe what a token says, signed by whomever.
func answerTokenReviews(client *kubefake.Clientset) {
	client.PrependReactor("create", "tokenreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenReview)
		status, err := statusOf(review.Spec.Token)
		if err != nil {
			status.Error = err.Error()
		}
		review.Status = status
		return true, review, nil
	})
}

func statusOf(token string) (status authenticationv1.TokenReviewStatus, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return status, fmt.Errorf("not a JWT: %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return status, err
	}
	var said claims
	if err := json.Unmarshal(text, &said); err != nil {
		return status, err
	}
	who := said.Kubernetes
	status.Authenticated = true
	status.User = authenticationv1.UserInfo{
		Username: "system:serviceaccount:" + who.Namespace + ":" + who.ServiceAccount.Name,
		Groups:   []string{"system:serviceaccounts"},
		Extra: map[string]authenticationv1.ExtraValue{
			"authentication.kubernetes.io/pod-name": {who.Pod.Name},
			"authentication.kubernetes.io/pod-uid":  {who.Pod.UID},
		},
	}
	return status, nil
}
